-- What becomes of writes on Legacy around the SDK. No table here refers to another: a writer that a
-- trigger serves must not wait for whoever changes a migration.

create table crossfade_captures (
    migration text primary key,
    mode text not null,
    -- Hash of the triggers that were installed.
    digest text not null,
    since_ms bigint not null
);

-- A writer counts in rows of its connection alone, so that no writer waits for another's count.
-- `born` tells rows of one connection apart that two open transactions count in.
create table crossfade_bypasses (
    migration text not null,
    session_id bigint not null,
    operation text not null,
    writer text not null,
    application text not null,
    born bigint not null,
    writes bigint not null,
    first_ms bigint not null,
    last_ms bigint not null,
    primary key (migration, session_id, operation, writer, application, born)
);

-- Keys whose New side may be behind. A version is never given twice.
create table crossfade_journal (
    migration text not null,
    key text not null,
    version bigint not null,
    first_ms bigint not null,
    last_ms bigint not null,
    primary key (migration, key)
);
