-- Adds what {NAME} moves to. Instances that know nothing of it are running, so nothing is taken
-- away here. Each statement runs once, with a bound on its locks; `crossfade expand {NAME}` goes on
-- after the last one that is done. A file expand.postgres.sql or expand.sqlite.sql wins over this
-- one on that database.

create table {NAME} (
    user_id bigint primary key,
    theme text not null
);
