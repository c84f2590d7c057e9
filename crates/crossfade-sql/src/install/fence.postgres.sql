-- The fence: shares the epoch's lock, then looks whether the epoch is open, then takes the key's lock.
--
-- `fence` is the migration's sequence. Twice the oldest open epoch is its value, and one more while
-- the epoch after that is open too. A sequence is read as it stands, under any snapshot and without
-- a query, so it is read fresh once the lock is held. Its value moves under the epoch's exclusive
-- lock, and nothing takes that back: should the closer fail after it, the epoch is closed to
-- writers, and the closing is repeated.
--
-- The epoch's lock is only tried: a writer with an old epoch would otherwise queue behind the
-- closer and hold up those behind it. `epoch_lock` and `key_lock` are numbers the caller derives
-- from names; a null `key_lock` takes no key. `lock_ms` bounds every wait for a lock in this
-- transaction; null leaves it as it is.
--
-- Another isolation is refused rather than set: naming it in each `begin` costs more than all
-- locks. Functions are called in conditions, since those are evaluated without a query of their
-- own, as `perform` would be.
create function crossfade_enter(
    fence regclass, wanted_epoch bigint, epoch_lock bigint, key_lock bigint, lock_ms bigint
)
returns void language plpgsql volatile as $fence$
declare
    state bigint;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the fence needs isolation level read committed' using errcode = 'CFF02';
    end if;
    if not pg_try_advisory_xact_lock_shared(epoch_lock) then
        raise exception 'epoch % of % is being closed', wanted_epoch, fence using errcode = 'CFF01';
    end if;
    state := pg_sequence_last_value(fence);
    if (wanted_epoch between state / 2 and (state + 1) / 2) is not true then
        raise exception 'epoch % of % is closed', wanted_epoch, fence using errcode = 'CFF01';
    end if;
    if lock_ms is not null and set_config('lock_timeout', lock_ms::text, true) is null then
        raise exception 'no bound on locks';
    end if;
    if key_lock is not null and pg_advisory_xact_lock(key_lock) is null then
        raise exception 'no lock on the key';
    end if;
end
$fence$;
