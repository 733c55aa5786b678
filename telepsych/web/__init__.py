"""The glue between Flask and the practice: session rows, units of work for pages, live sockets, headers and errors."""
