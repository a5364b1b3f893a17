# Completions of telexctl(1) for fish.

# First fields of a list. Not over SSH: it would take long, and might ask for a password.
function __telexctl_ids
    set -l words (commandline -opc)
    string match -qr -- '^(-H|--host)' $words; and return
    set -l bus
    contains -- --session $words; and set bus --session
    telexctl --no-ask-password $bus $argv 2>/dev/null | awk 'NR > 1 { print $1 }'
end

function __telexctl_verb
    __fish_seen_subcommand_from $argv
end

set -l verbs status ps kill killall pause resume interrupt clear send restart reload config people conversations questions approve deny pair audit logs watch doctor help

complete -c telexctl -f
complete -c telexctl -s H -l host -x -a '(__fish_print_hostnames)' -d 'Another machine, over SSH'
complete -c telexctl -l session -d 'The session bus'
complete -c telexctl -l json -d JSON
complete -c telexctl -l no-ask-password -d 'Never be asked for a password'
complete -c telexctl -s h -l help -d 'Print help'
complete -c telexctl -s V -l version -d 'Print the version'

set -l first "not __fish_seen_subcommand_from $verbs"
complete -c telexctl -n $first -a status -d 'How it stands'
complete -c telexctl -n $first -a ps -d 'List the runs'
complete -c telexctl -n $first -a kill -d 'End runs'
complete -c telexctl -n $first -a killall -d 'End all runs'
complete -c telexctl -n $first -a pause -d 'Begin with no message'
complete -c telexctl -n $first -a resume -d 'Go on after a pause'
complete -c telexctl -n $first -a interrupt -d 'Stop what a conversation is doing'
complete -c telexctl -n $first -a clear -d 'Have a conversation begin anew'
complete -c telexctl -n $first -a send -d 'Give a conversation a prompt'
complete -c telexctl -n $first -a restart -d 'Restart the daemon; agents go on'
complete -c telexctl -n $first -a reload -d 'Read the configuration again'
complete -c telexctl -n $first -a config -d 'Show and change settings'
complete -c telexctl -n $first -a people -d 'List the people'
complete -c telexctl -n $first -a conversations -d 'List the conversations'
complete -c telexctl -n $first -a questions -d 'List what agents ask for'
complete -c telexctl -n $first -a approve -d 'Allow what an agent asks for'
complete -c telexctl -n $first -a deny -d 'Refuse what an agent asks for'
complete -c telexctl -n $first -a pair -d 'People who want to be let in'
complete -c telexctl -n $first -a audit -d 'What was administered'
complete -c telexctl -n $first -a logs -d 'Show the journal'
complete -c telexctl -n $first -a watch -d 'Show how it stands, again and again'
complete -c telexctl -n $first -a doctor -d 'Check this machine'
complete -c telexctl -n $first -a help -d 'Print help'

complete -c telexctl -n '__telexctl_verb kill' -a '(__telexctl_ids ps)' -d Run
complete -c telexctl -n '__telexctl_verb killall' -s y -l yes -d 'Do not ask'
complete -c telexctl -n '__telexctl_verb interrupt clear send' -a '(__telexctl_ids conversations)' -d Conversation
complete -c telexctl -n '__telexctl_verb restart' -l no-wait -d 'Do not wait until it is back'
complete -c telexctl -n '__telexctl_verb config; and not __telexctl_verb list get set reset' -a 'list get set reset'
complete -c telexctl -n '__telexctl_verb config; and __telexctl_verb list get set reset' -a '(__telexctl_ids config list)' -d Setting
complete -c telexctl -n '__telexctl_verb config; and __telexctl_verb get' -l value -d 'The value alone'
complete -c telexctl -n '__telexctl_verb approve deny' -a '(__telexctl_ids questions)' -d Question
complete -c telexctl -n '__telexctl_verb people; and not __telexctl_verb list remove' -a 'list remove'
complete -c telexctl -n '__telexctl_verb people; and __telexctl_verb remove' -a '(__telexctl_ids people list)' -d Person
complete -c telexctl -n '__telexctl_verb pair; and not __telexctl_verb list accept reject' -a 'list accept reject'
complete -c telexctl -n '__telexctl_verb pair; and __telexctl_verb accept reject' -a '(__telexctl_ids pair list)' -d Code
complete -c telexctl -n '__telexctl_verb audit logs' -s n -l lines -x -d 'How many'
complete -c telexctl -n '__telexctl_verb audit' -l before -x -d 'What came before'
complete -c telexctl -n '__telexctl_verb logs' -s f -l follow -d 'Go on showing'
complete -c telexctl -n '__telexctl_verb logs' -s r -l run -x -a '(__telexctl_ids ps)' -d 'Of a run'
complete -c telexctl -n '__telexctl_verb logs' -s c -l conversation -x -a '(__telexctl_ids conversations)' -d 'Of a conversation'
complete -c telexctl -n '__telexctl_verb logs' -s p -l priority -x -a 'emerg alert crit err warning notice info debug' -d 'How important'
complete -c telexctl -n '__telexctl_verb logs' -l since -x -d 'From then on'
complete -c telexctl -n '__telexctl_verb logs' -s x -l catalog -d 'With explanations'
complete -c telexctl -n '__telexctl_verb watch' -s n -l interval -x -d Seconds
