-- The fence: shares the epoch's lock, then reads its state, then takes the key's lock.
--
-- VOLATILE under READ COMMITTED gives each statement of the body a snapshot of its own, so the
-- epoch is read as it stands once the lock is held. The lock is only tried: a writer with an old
-- epoch would otherwise queue behind the closer and hold up those behind it. `epoch_lock` and
-- `key_lock` are numbers the caller derives from names; a null `key_lock` takes no key.
create function crossfade_enter(wanted text, wanted_epoch bigint, epoch_lock bigint, key_lock bigint)
returns void language plpgsql volatile as $fence$
begin
    if not pg_try_advisory_xact_lock_shared(epoch_lock) then
        raise exception 'epoch % of % is being closed', wanted_epoch, wanted using errcode = 'CFF01';
    end if;
    perform 1 from crossfade_epochs
    where migration = wanted and epoch = wanted_epoch and closed_ms is null;
    if not found then
        raise exception 'epoch % of % is closed', wanted_epoch, wanted using errcode = 'CFF01';
    end if;
    if key_lock is not null then
        perform pg_advisory_xact_lock(key_lock);
    end if;
end
$fence$;
