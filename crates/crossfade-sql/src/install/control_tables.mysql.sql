-- Control tables of Crossfade on MariaDB. Times are milliseconds since 1970 by the database's clock;
-- keys are text as `Key::text` renders them. Texts that are compared are compared by their bytes,
-- trailing blanks included.

create table if not exists crossfade_migrations (
    name varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin primary key,
    definition longtext character set utf8mb4 not null,
    created_ms bigint not null,
    legacy_usage text character set utf8mb4,
    legacy_usage_ms bigint
) engine = InnoDB;

create table if not exists crossfade_epochs (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    epoch bigint not null,
    stage varchar(50) character set utf8mb4 not null,
    opened_ms bigint not null,
    closed_ms bigint,
    primary key (migration, epoch),
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;

create table if not exists crossfade_runs (
    id bigint not null auto_increment primary key,
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    epoch bigint not null,
    state varchar(50) character set utf8mb4 not null check (state in ('running', 'done', 'void')),
    upper_key text character set utf8mb4,
    frontier text character set utf8mb4,
    started_ms bigint not null,
    finished_ms bigint,
    -- The migration of a run that counts. An index over some rows only does not exist here.
    counts_for varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin
        as (case when state <> 'void' then migration end) stored,
    unique index crossfade_runs_one_counts (counts_for),
    index crossfade_runs_of_migration (migration),
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;

create table if not exists crossfade_segments (
    run_id bigint not null,
    number bigint not null,
    cursor_key text character set utf8mb4,
    upper_key text character set utf8mb4 not null,
    read_rows bigint not null default 0,
    inserted_rows bigint not null default 0,
    worker varchar(200) character set utf8mb4 collate utf8mb4_nopad_bin,
    lease_ms bigint not null default 0,
    done bigint not null default 0,
    primary key (run_id, number),
    foreign key (run_id) references crossfade_runs (id)
) engine = InnoDB;

create table if not exists crossfade_quarantine (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    -- An index entry has at most 3072 bytes, of which the name of the migration takes up to 252.
    `key` varchar(700) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    reason text character set utf8mb4 not null,
    epoch bigint not null,
    marked_ms bigint not null,
    primary key (migration, `key`),
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;

create table if not exists crossfade_verifications (
    id bigint not null auto_increment primary key,
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    run_id bigint,
    epoch bigint not null,
    started_ms bigint not null,
    finished_ms bigint not null,
    compared bigint not null,
    differences bigint not null,
    repaired bigint not null,
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;

create table if not exists crossfade_instances (
    instance varchar(200) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    version varchar(200) character set utf8mb4 not null,
    acknowledged bigint not null,
    capable_of varchar(50) character set utf8mb4 not null,
    -- The newest epoch in which this instance read Legacy.
    legacy_read_epoch bigint,
    lease_ms bigint not null,
    primary key (instance, migration),
    foreign key (migration) references crossfade_migrations (name)
) engine = InnoDB;

create table if not exists crossfade_rule_sets (
    version bigint primary key,
    document longtext character set utf8mb4 not null,
    author text character set utf8mb4 not null,
    reason text character set utf8mb4 not null,
    created_ms bigint not null
) engine = InnoDB;

create table if not exists crossfade_scripts (
    migration varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    script varchar(63) character set utf8mb4 collate utf8mb4_nopad_bin not null,
    position bigint not null,
    digest varchar(200) character set utf8mb4 not null,
    applied_ms bigint not null,
    primary key (migration, script, position)
) engine = InnoDB;

create table if not exists crossfade_audit (
    seq bigint primary key,
    at_ms bigint not null,
    action text character set utf8mb4 not null,
    subject text character set utf8mb4 not null,
    from_state text character set utf8mb4 not null,
    to_state text character set utf8mb4 not null,
    actor text character set utf8mb4 not null,
    reason text character set utf8mb4 not null,
    hash varchar(64) character set utf8mb4 not null
) engine = InnoDB;

-- Rows that stand for the locks of keys; see `fence.rs`, which knows how many there are.
create table if not exists crossfade_key_locks (number smallint unsigned primary key) engine = InnoDB;

insert ignore into crossfade_key_locks (number)
with recursive digit as (select 0 as d union all select d + 1 from digit where d < 127)
select a.d * 128 + b.d from digit a cross join digit b;
