-- How far a verification is that has found no difference yet. The next one goes on there while run,
-- epoch and mapping are the same.

create table crossfade_verify_progress (
    migration text primary key references crossfade_migrations (name),
    run_id bigint,
    epoch bigint not null,
    mapping text not null,
    started_ms bigint not null,
    saved_ms bigint not null,
    compared bigint not null,
    cursor_key text not null
);
