#!/bin/sh
# What the reference pair's configuration runs when its group changes state: notes the time and its
# words (master, backup or fault) in `notify.log` beside this script.
echo "$(date +%s.%N) $*" >>"${0%/*}/notify.log"
