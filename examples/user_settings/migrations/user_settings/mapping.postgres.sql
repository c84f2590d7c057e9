-- A user whose profile is NULL has no settings; a key that a profile lacks has its default.
select
    id as user_id,
    profile ->> 'theme' as theme,
    coalesce((profile ->> 'notifications_enabled')::boolean, true) as notifications_enabled
from users
where profile is not null
