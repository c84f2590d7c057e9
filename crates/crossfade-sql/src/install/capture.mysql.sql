-- What becomes of writes on Legacy around the SDK, on MariaDB. No table here refers to another: a
-- writer that a trigger serves must not wait for whoever changes a migration.

create table if not exists crossfade_captures (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin primary key,
    mode varchar(50) character set utf8mb4 not null,
    -- Hash of the triggers that were installed.
    digest varchar(64) character set utf8mb4 not null,
    since_ms bigint not null
) engine = InnoDB;

-- A writer counts in rows of its connection alone, so that no writer waits for another's count.
create table if not exists crossfade_bypasses (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    session_id bigint not null,
    operation varchar(10) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    writer varchar(200) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    application varchar(1) character set utf8mb4 not null default '',
    writes bigint not null,
    first_ms bigint not null,
    last_ms bigint not null,
    primary key (migration, session_id, operation, writer)
) engine = InnoDB;

-- Keys whose New side may be behind. A version is never given twice.
create table if not exists crossfade_journal (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    `key` varchar(700) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    version bigint not null,
    first_ms bigint not null,
    last_ms bigint not null,
    primary key (migration, `key`)
) engine = InnoDB;
