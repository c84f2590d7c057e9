-- A user whose profile is NULL has no settings; a key that a profile lacks has its default.
-- `json_value` would tell an empty text as NULL, and tells true as 1.
select
    id as user_id,
    if(json_type(json_extract(profile, '$.theme')) = 'NULL', null,
        json_unquote(json_extract(profile, '$.theme'))) as theme,
    coalesce(json_value(profile, '$.notifications_enabled') = 1, true) as notifications_enabled
from users
where profile is not null
