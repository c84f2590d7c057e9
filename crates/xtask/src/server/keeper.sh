# Keeps one PostgreSQL server until its input ends, then stops the server and removes its folder.
# Arguments: the private folder, the folder of PostgreSQL's programs, the port, and then the words
# that run a command under the server's account (none: as it is).
# Input: lines with the process id of a command that must not outlive the input, or `none`.
folder=$1 programs=$2 port=$3
shift 3
data=$folder/data
trap '' HUP INT TERM
trap 'rm -rf "$folder"' EXIT

output=$("$@" "$programs/initdb" --pgdata="$data" --username=crossfade --auth=trust \
    --encoding=UTF8 --locale=C --no-sync 2>&1 </dev/null) || { echo "$output"; exit 1; }

# A background process would read from /dev/null, hence the detour over descriptor 3.
exec 3<&0
"$@" "$programs/postgres" -D "$data" -c listen_addresses=127.0.0.1 -c port="$port" \
    -c unix_socket_directories="$folder" -c max_connections=300 \
    -c fsync="${CROSSFADE_PG_FSYNC:-off}" -c full_page_writes="${CROSSFADE_PG_FSYNC:-off}" </dev/null 3<&- &
server=$!

(
    command=none
    while read -r line; do command=$line; done
    [ "$command" = none ] || kill -TERM "$command" 2>/dev/null
    # The process id comes from the server's own folder: with that gone, there is nothing to end.
    while [ -d "$data" ] && kill -0 "$server" 2>/dev/null; do
        if read -r postmaster <"$data/postmaster.pid"; then
            kill -QUIT "$postmaster"
            break
        fi
        sleep 0.05
    done
) <&3 2>/dev/null &

wait "$server"
