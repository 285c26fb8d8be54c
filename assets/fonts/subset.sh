#!/bin/sh
# Makes the two faces in this folder anew from Debian's fonts-noto-core and fonts-noto-mono, with fonttools' subsetter (pyftsubset 4.38).
set -eu
cd "$(dirname "$0")"
noto=${1:-/usr/share/fonts/truetype/noto}
letters=U+0020-007E,U+00A0-024F,U+02B0-052F,U+1AB0-1AFF,U+1DC0-1FFF,U+2000-20CF,U+2100-218F,U+FB00-FB06,U+FE20-FE2F,U+FFFD
signs=U+2190-21FF,U+2200-22FF,U+2500-25FF
pyftsubset "$noto/NotoSans-Regular.ttf" --unicodes=$letters --layout-features=ccmp,kern,liga,locl,mark,mkmk,lnum,tnum \
    --output-file=NotoSans-Subset.ttf
pyftsubset "$noto/NotoSansMono-Regular.ttf" --unicodes=$signs --layout-features= --no-hinting --output-file=NotoSansMono-Signs.ttf
