
# What differs for a replica: it begins empty and follows the primary from its first entry.
role='--server-id=2 --read-only=1 --init-file=../follow.sql'

prepare() {
    cat >"$folder/follow.sql" <<EOF
change master to master_host = '127.0.0.1', master_port = $primary, master_user = 'root', master_use_gtid = slave_pos;
start slave;
EOF
    install_data "$@"
}
