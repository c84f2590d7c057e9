-- What a proof rests on, and what giving rights back needs.

-- What the capture had seen when a verification began; `bypassed` is null where that was not asked.
alter table crossfade_verifications
    add column if not exists bypassed bigint,
    add column if not exists capture text character set utf8mb4;
alter table crossfade_verify_progress
    add column if not exists bypassed bigint,
    add column if not exists capture text character set utf8mb4;

-- When an instance first held a lease, and when the last time without any ended; the rows of Legacy as
-- they were when `complete` began, by the database's own counters or a count; statements that give the
-- rights on Legacy back which `contract` has taken away, as a JSON array.
alter table crossfade_migrations
    add column if not exists leased_since_ms bigint,
    add column if not exists lease_gap_ms bigint,
    add column if not exists legacy_at_complete text character set utf8mb4,
    add column if not exists rights_taken longtext character set utf8mb4;
