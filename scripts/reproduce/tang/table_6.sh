#!/usr/bin/env bash
# Tang et al. (2024), table 6: as table 5, answered in English.
TARGET="${TARGET:-en}" TABLE=table_6 exec bash "$(dirname "$0")/table_5.sh"
