#!/usr/bin/env bash
# Adds retention and clearing to the console's settings, once GetSettings, UpdateSettings, ClearEntries and GetPlan are in.
set -euo pipefail
cd /work/wt/console
cp /tmp/console-settings/settings.rs crates/gateway/src/console/settings.rs
cp /tmp/console-settings/settings.html /tmp/console-settings/clear.html crates/gateway/templates/
cat /tmp/console-settings/tests.rs >> crates/gateway/tests/rest/console/settings.rs
python3 - <<'P'
p='crates/gateway/src/console/page.rs'; s=open(p).read()
s=s.replace('''        "cancelled" =>''','''        "settings" => "The settings were saved.",
        "cleared" => "The delivery history was cleared.",
        "cancelled" =>''')
open(p,'w').write(s)
P
