# Keeps one server until its input ends, then stops the server and removes its folder. The functions
# `prepare` and `serve` stand in front of this text, with the variables `pid_file` and `signal`.
# Arguments: the private folder, the program that prepares a data folder, the one that serves it, the
# port, and then the words that run a command under the server's account (none: as it is).
# The variable `primary` is the port of the server that this one follows, if it is a replica.
# As long as the folder holds a file `restart`, a server that ends is started again.
# Input: lines with the process id of a command that must not outlive the input, or `none`.
folder=$1 installer=$2 program=$3 port=$4
shift 4
trap '' HUP INT TERM
trap 'rm -rf "$folder"' EXIT

output=$(prepare "$@" 2>&1 </dev/null) || { echo "$output"; exit 1; }

# A background process would read from /dev/null, hence the detour over descriptor 3.
exec 3<&0
serve "$@" </dev/null 3<&- &
server=$!

(
    command=none
    while read -r line; do command=$line; done
    [ "$command" = none ] || kill -TERM "$command" 2>/dev/null
    rm -f "$folder/restart"
    # The process id comes from the server's own folder: with that gone, there is nothing to end.
    # The id of a server that has crashed names nobody, and another server may be on its way.
    while [ -d "$folder/data" ] && kill -0 "$$" 2>/dev/null; do
        if read -r served <"$folder/$pid_file" && kill -"$signal" "$served"; then break; fi
        sleep 0.05
    done
) <&3 2>/dev/null &

wait "$server"
status=$?
while [ -e "$folder/restart" ]; do
    # A server that cannot start yet, since the one before is not quite gone, ends at once.
    sleep 0.1
    serve "$@" </dev/null 3<&- &
    server=$!
    wait "$server"
    status=$?
done
exit "$status"
