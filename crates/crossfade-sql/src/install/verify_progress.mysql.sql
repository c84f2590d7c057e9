-- How far a verification is that has found no difference yet. The next one goes on there while run,
-- epoch and mapping are the same.

create table if not exists crossfade_verify_progress (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin primary key,
    run_id bigint,
    epoch bigint not null,
    mapping longtext character set utf8mb4 not null,
    started_ms bigint not null,
    saved_ms bigint not null,
    compared bigint not null,
    cursor_key text character set utf8mb4 not null,
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;
