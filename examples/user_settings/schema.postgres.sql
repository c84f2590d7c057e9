-- The Legacy table.
create table if not exists users (
    id bigint primary key,
    profile jsonb
)
