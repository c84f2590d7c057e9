-- The Legacy table.
create table if not exists users (
    id bigint primary key,
    profile json
) engine = InnoDB character set utf8mb4
