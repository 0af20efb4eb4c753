"""Campaigns: the laws on far more cases than a run has, for hours, on many processes, and going on where it was killed.

A campaign goes in rounds. Every round gives each pair of an implementation and a requirement a number of seeds
(:mod:`plan`), packs them into items of about half a minute (:mod:`items`), and has them judged by processes of this
machine (:mod:`workers`) or of a Dask cluster (:mod:`cluster`), all of the same versions (:mod:`identity`). One seed is
one run of a law, as pytest has it: whatever a campaign finds, the ordinary command finds again by its seed. What is
finished is on the journal (:mod:`journal`), and nothing else decides what comes next, so that a campaign does the same
work wherever and however often it is started.
"""
