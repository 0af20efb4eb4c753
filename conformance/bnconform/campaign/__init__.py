"""Campaigns: the laws on many more cases than in a run, for hours, on many processes; a killed campaign can continue.

A campaign has rounds. Every round gives each pair of an implementation and a requirement a number of seeds
(:mod:`rounds`) and packs them into items of about half a minute (:mod:`items`). Processes of this machine (:mod:`pool`)
or of a Dask cluster (:mod:`cluster`) judge the items, all with the same versions (:mod:`fingerprint`). One seed is one
run of a law in pytest: the ordinary command finds every finding again by its seed. The journal (:mod:`journal`) lists
the finished items and alone decides what comes next. A campaign therefore does the same work on any machine, however
often it is restarted.
"""
