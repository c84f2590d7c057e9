-- Operations that a write was carried out for, so that none is carried out twice. A row is part of
-- the write's own transaction; `attempt` tells its tries apart. Rows are deleted once they are old.

create table if not exists crossfade_operations (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    operation varchar(128) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    `key` longtext character set utf8mb4 collate utf8mb4_nopad_bin not null,
    attempt bigint not null,
    created_ms bigint not null,
    primary key (migration, operation),
    index crossfade_operations_by_age (created_ms)
) engine = InnoDB;
