-- Begins a transaction, enters an epoch and locks a key, by the statements that writers use anyway: the
-- server has no `select` to resolve, plan and run, whose code is otherwise cold in the processor's caches.
--
-- An insert that meets a row locks it shared and fails, and it sees what is committed, whatever the
-- snapshot: lock and check are one statement. It does not wait for somebody who holds the row alone, as
-- a closer does, or for one whom a closer waits for. The row of a closed epoch, which it makes, goes
-- with the transaction, and so does the lock on what is left of the old one, which would otherwise be a
-- lock on the gap once that is purged: therefore `crossfade_pass`, whose transaction may go on, selects.
--
-- See `mariadb.rs` for autocommit and the savepoint.
create or replace procedure crossfade_begin(
    in migration varchar(63) character set utf8mb4, in open_epoch bigint, in key_lock int
)
sql security invoker
begin
    declare found int default 0;
    set autocommit = 0, @crossfade_fence = migration;
    set transaction isolation level read committed;
    savepoint crossfade_transaction;
    begin
        declare continue handler for 1062 set found = 1;
        declare continue handler for 1205 begin end;
        set statement innodb_lock_wait_timeout = 0 for
            insert into crossfade_open_epochs (id, migration, epoch) values (open_epoch, '', 0);
    end;
    if found = 0 then
        rollback;
        signal sqlstate 'CFF01' set message_text = 'the epoch is closed, or is being closed';
    end if;
    insert into crossfade_key_locks (number) values (key_lock)
        on duplicate key update number = number;
end
