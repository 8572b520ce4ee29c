# Upstream has everything in one folder.
ln -s usr/lib/chromium headless-shell
ln -s chromium-headless-shell usr/lib/chromium/headless-shell

# Drivers of graphics cards, which no container here has, and the compiler of their shaders.
rm -rf usr/lib/*/dri usr/lib/*/libLLVM-* usr/lib/*/libz3.so*
rm -f usr/lib/chromium/libVkLayer_khronos_validation.so usr/lib/chromium/libVkICD_mock_icd.so
