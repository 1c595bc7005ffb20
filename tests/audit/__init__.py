"""Hundreds of bad inputs for every command: which end in a traceback, hang, or are let in?

    cd tests && python -m audit [COMMAND]... [--every N]

Each input is a small valid one that was changed in one place. A command must take it as the valid
one (a byte order mark), or refuse it in a sentence and leave nothing behind; where a change may be
either, such as in a field that nothing reads, only tracebacks, hangs and left-overs count.
"""
