-- The fence: shares the epoch's lock, then reads its state, then takes the key's lock.
--
-- VOLATILE under READ COMMITTED gives each statement of the body a snapshot of its own, so the
-- epoch is read as it stands once the lock is held. The lock is only tried: a writer with an old
-- epoch would otherwise queue behind the closer and hold up those behind it. `epoch_lock` and
-- `key_lock` are numbers the caller derives from names; a null `key_lock` takes no key. `lock_ms`
-- bounds every wait for a lock in this transaction; null leaves it as it is.
--
-- Another isolation is refused rather than set: naming it in each `begin` costs more than all locks.
create function crossfade_enter(
    wanted text, wanted_epoch bigint, epoch_lock bigint, key_lock bigint, lock_ms bigint
)
returns void language plpgsql volatile as $fence$
declare
    is_open boolean;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the fence needs isolation level read committed' using errcode = 'CFF02';
    end if;
    if not pg_try_advisory_xact_lock_shared(epoch_lock) then
        raise exception 'epoch % of % is being closed', wanted_epoch, wanted using errcode = 'CFF01';
    end if;
    select closed_ms is null into is_open from crossfade_epochs
    where migration = wanted and epoch = wanted_epoch;
    if is_open is not true then
        raise exception 'epoch % of % is closed', wanted_epoch, wanted using errcode = 'CFF01';
    end if;
    if lock_ms is not null then
        perform set_config('lock_timeout', lock_ms::text, true);
    end if;
    -- In a condition, since that is evaluated without a query of its own, as `perform` would be.
    if key_lock is not null and pg_advisory_xact_lock(key_lock) is null then
        raise exception 'no lock on the key';
    end if;
end
$fence$;
