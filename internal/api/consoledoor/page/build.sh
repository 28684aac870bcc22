#!/bin/sh
# Builds the console page into dist, which is embedded. The versions are pinned in package.json and package-lock.json with
# their hashes, so the same sources give the same files. It needs npm; building ingot does not.
set -eu
cd "$(dirname "$0")"
npm ci
rm -rf dist
mkdir dist
npx esbuild src/page.js src/page.css --bundle --minify --format=esm --target=es2022 --legal-comments=none --outdir=dist
cp src/index.html dist/
{
	echo 'The console page holds these programs, bundled and otherwise unchanged. Their sources: https://github.com/xtermjs/xterm.js and https://github.com/novnc/noVNC, under the versions named.'
	for package in @xterm/xterm @xterm/addon-fit @xterm/addon-search @novnc/novnc; do
		printf '\n==== %s %s\n\n' "$package" "$(node -p "require('./node_modules/$package/package.json').version")"
		cat "node_modules/$package"/LICENSE*
	done
	for file in node_modules/@novnc/novnc/docs/LICENSE.MPL-2.0 node_modules/@novnc/novnc/vendor/pako/LICENSE; do
		if [ -f "$file" ]; then printf '\n==== %s\n\n' "${file#node_modules/}"; cat "$file"; fi
	done
} >dist/LICENSES.txt
