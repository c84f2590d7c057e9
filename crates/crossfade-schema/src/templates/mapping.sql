-- How a Legacy row becomes New rows: one `select` from the Legacy table whose output columns are
-- New's. Rows that it does not select must be absent on New.

select
    id as user_id,
    coalesce(theme, 'light') as theme
from users
