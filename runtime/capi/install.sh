#!/bin/sh
# Builds liboctrt and installs it with its headers, pkg-config file and CMake package.
#
#   runtime/capi/install.sh [--prefix DIR] [--libdir NAME] [--from DIR]
#
#   --prefix DIR   where it is to be found, /usr/local if not given; absolute
#   --libdir NAME  folder of libraries below the prefix, lib if not given
#   --from DIR     takes liboctrt_capi.so and liboctrt_capi.a from DIR instead of building them
#
# DESTDIR, if set, is put before the prefix. Installed files do not name it, and find each other relative to themselves.
set -eu

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

prefix=/usr/local
libdir=lib
from=
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --prefix) prefix=$2 ;;
        --libdir) libdir=$2 ;;
        --from) from=$2 ;;
        *) usage ;;
    esac
    shift 2
done
case $prefix in /*) ;; *) echo "install.sh: --prefix $prefix: expected an absolute path" >&2; exit 2 ;; esac
case $libdir in /*|*..*) echo "install.sh: --libdir $libdir: expected a folder below the prefix" >&2; exit 2 ;; esac

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
version=$(sed -n 's/^version = "\([0-9.]*\)"$/\1/p' "$here/../../Cargo.toml" | head -n 1)
abi=${version%%.*}
[ -n "$version" ] || { echo 'install.sh: no version in Cargo.toml' >&2; exit 1; }

if [ -z "$from" ]; then
    (cd "$here" && cargo build --release --locked -p octrt-capi)
    target=$(cd "$here" && cargo metadata --no-deps --format-version 1 --locked)
    target=${target##*\"target_directory\":\"}
    from=${target%%\"*}/release
fi
for file in liboctrt_capi.so liboctrt_capi.a; do
    [ -f "$from/$file" ] || { echo "install.sh: no $from/$file" >&2; exit 1; }
done

root=${DESTDIR:-}$prefix
lib=$root/$libdir
# The way from $libdir/pkgconfig, and from $libdir/cmake/octrt, up to the prefix.
up=$(printf '%s\n' "$libdir" | sed 's,[^/][^/]*,..,g')
mkdir -p "$root/include" "$lib/pkgconfig" "$lib/cmake/octrt"
install -m 644 "$here/include/octrt.h" "$here/include/octrt.hpp" "$root/include/"
install -m 755 "$from/liboctrt_capi.so" "$lib/liboctrt.so.$version"
ln -sf "liboctrt.so.$version" "$lib/liboctrt.so.$abi"
ln -sf "liboctrt.so.$abi" "$lib/liboctrt.so"
install -m 644 "$from/liboctrt_capi.a" "$lib/liboctrt.a"
# Lines of source for debuggers are nine tenths of the files.
if command -v strip >/dev/null; then
    strip --strip-debug "$lib/liboctrt.so.$version" "$lib/liboctrt.a"
fi

# Fills in a template.
configure() {
    sed -e "s|@VERSION@|$version|g" -e "s|@ABI@|$abi|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@UP@|$up|g" "$here/$1" > "$2"
    chmod 644 "$2"
}
configure packaging/octrt.pc.in "$lib/pkgconfig/octrt.pc"
configure packaging/octrtConfig.cmake.in "$lib/cmake/octrt/octrtConfig.cmake"
configure packaging/octrtConfigVersion.cmake.in "$lib/cmake/octrt/octrtConfigVersion.cmake"
echo "octrt $version is installed in $root"
