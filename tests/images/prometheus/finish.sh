# Two thirds of the image: the sources of what the UI loads in one file.
rm -r usr/share/javascript/moment-timezone/data
