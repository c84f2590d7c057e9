-- Control tables of Crossfade. Times are milliseconds since 1970 by the database's clock; keys are
-- text as `Key::text` renders them. `{counter}` stands for the engine's own counting primary key.

create table crossfade_migrations (
    name text primary key,
    definition text not null,
    created_ms bigint not null,
    -- Last reading of the database's statistics on Legacy, and when it last moved.
    legacy_usage text,
    legacy_usage_ms bigint
);

create table crossfade_epochs (
    migration text not null references crossfade_migrations (name),
    epoch bigint not null,
    stage text not null,
    opened_ms bigint not null,
    closed_ms bigint,
    primary key (migration, epoch)
);

create table crossfade_runs (
    id {counter},
    migration text not null references crossfade_migrations (name),
    epoch bigint not null,
    state text not null check (state in ('running', 'done', 'void')),
    upper_key text,
    frontier text,
    started_ms bigint not null,
    finished_ms bigint
);

create unique index crossfade_runs_one_counts on crossfade_runs (migration) where state <> 'void';

create table crossfade_segments (
    run_id bigint not null references crossfade_runs (id),
    number bigint not null,
    cursor_key text,
    upper_key text not null,
    read_rows bigint not null default 0,
    inserted_rows bigint not null default 0,
    worker text,
    lease_ms bigint not null default 0,
    done bigint not null default 0,
    primary key (run_id, number)
);

create table crossfade_quarantine (
    migration text not null references crossfade_migrations (name),
    key text not null,
    reason text not null,
    epoch bigint not null,
    marked_ms bigint not null,
    primary key (migration, key)
);

create table crossfade_verifications (
    id {counter},
    migration text not null references crossfade_migrations (name),
    run_id bigint,
    epoch bigint not null,
    started_ms bigint not null,
    finished_ms bigint not null,
    compared bigint not null,
    differences bigint not null,
    repaired bigint not null
);

create table crossfade_instances (
    instance text not null,
    migration text not null references crossfade_migrations (name),
    version text not null,
    acknowledged bigint not null,
    capable_of text not null,
    -- The newest epoch in which this instance read Legacy.
    legacy_read_epoch bigint,
    lease_ms bigint not null,
    primary key (instance, migration)
);

create table crossfade_rule_sets (
    version bigint primary key,
    document text not null,
    author text not null,
    reason text not null,
    created_ms bigint not null
);

create table crossfade_scripts (
    migration text not null,
    script text not null,
    position bigint not null,
    digest text not null,
    applied_ms bigint not null,
    primary key (migration, script, position)
);

create table crossfade_audit (
    seq bigint primary key,
    at_ms bigint not null,
    action text not null,
    subject text not null,
    from_state text not null,
    to_state text not null,
    actor text not null,
    reason text not null,
    hash text not null
);
