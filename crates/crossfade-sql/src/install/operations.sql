-- Operations that a write was carried out for, so that none is carried out twice. A row is part of
-- the write's own transaction; `attempt` tells its tries apart. Rows are deleted once they are old.

create table crossfade_operations (
    migration text not null,
    operation text not null,
    key text not null,
    attempt bigint not null,
    created_ms bigint not null,
    primary key (migration, operation)
);

create index crossfade_operations_by_age on crossfade_operations (created_ms);
