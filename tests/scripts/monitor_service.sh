#!/bin/sh
# The check that the reference pair's configuration names: is the service behind these addresses
# well? There is no service in a demonstration, so it is well unless somebody says otherwise, by
# making the file `unhealthy` beside this script. The addresses come as words.
[ ! -e "${0%/*}/unhealthy" ]
