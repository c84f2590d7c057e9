-- Takes away what {NAME} has left. `crossfade contract {NAME}` runs it once no instance and no
-- statistic of the database shows Legacy in use. Only a backup brings it back.

drop table users;
