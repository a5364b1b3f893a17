# Completions of telexctl(1) for fish.

function __telexctl_verb
    __fish_seen_subcommand_from $argv
end

set -l verbs status pause resume logs watch doctor help

complete -c telexctl -f
complete -c telexctl -s H -l host -x -a '(__fish_print_hostnames)' -d 'Another machine, over SSH'
complete -c telexctl -l session -d 'The session bus'
complete -c telexctl -l json -d JSON
complete -c telexctl -l no-ask-password -d 'Never be asked for a password'
complete -c telexctl -s h -l help -d 'Print help'
complete -c telexctl -s V -l version -d 'Print the version'

set -l first "not __fish_seen_subcommand_from $verbs"
complete -c telexctl -n $first -a status -d 'How it stands'
complete -c telexctl -n $first -a pause -d 'Begin with no message'
complete -c telexctl -n $first -a resume -d 'Go on after a pause'
complete -c telexctl -n $first -a logs -d 'Show the journal'
complete -c telexctl -n $first -a watch -d 'Show how it stands, again and again'
complete -c telexctl -n $first -a doctor -d 'Check this machine'
complete -c telexctl -n $first -a help -d 'Print help'

complete -c telexctl -n '__telexctl_verb logs' -s n -l lines -x -d 'How many'
complete -c telexctl -n '__telexctl_verb logs' -s f -l follow -d 'Go on showing'
complete -c telexctl -n '__telexctl_verb logs' -s r -l run -x -d 'Of a run'
complete -c telexctl -n '__telexctl_verb logs' -s c -l conversation -x -d 'Of a conversation'
complete -c telexctl -n '__telexctl_verb logs' -s p -l priority -x -a 'emerg alert crit err warning notice info debug' -d 'How important'
complete -c telexctl -n '__telexctl_verb logs' -l since -x -d 'From then on'
complete -c telexctl -n '__telexctl_verb logs' -s x -l catalog -d 'With explanations'
complete -c telexctl -n '__telexctl_verb watch' -s n -l interval -x -d Seconds
