#!/bin/sh
# Prints the path of a Chromium for the browser tests: $GLOWVIZ_CHROMIUM, else the system's, else
# Debian's package where this user may install it. Never fails: without one, the browser tests are
# skipped and the line printed on stderr says how to get one.
for candidate in "$GLOWVIZ_CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$candidate" ] && found=$(command -v "$candidate" 2>/dev/null); then
        echo "$found"
        exit 0
    fi
done
if [ "$(id -u 2>/dev/null)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "browser: installing Debian's chromium" >&2
    export DEBIAN_FRONTEND=noninteractive
    if { apt-get install -y -qq --no-install-recommends chromium || {
            apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium
        }; } >/dev/null 2>&1 && found=$(command -v chromium); then
        echo "$found"
        exit 0
    fi
fi
echo "browser: no Chromium found; install one (Debian: apt-get install chromium) or set GLOWVIZ_CHROMIUM to its path" >&2
exit 0
