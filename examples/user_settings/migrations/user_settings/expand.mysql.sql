create table user_settings (
    user_id bigint primary key,
    theme varchar(50),
    notifications_enabled boolean not null default true,
    created_at timestamp not null default current_timestamp
) engine = InnoDB character set utf8mb4;
