"""Every bound of the prover, with its reason."""

WORKERS_DEFAULT = 2
"""Workers of each run of fused steps: the fewest between which partitions can move."""

SESSION_TIMEOUT_MS = 6_000
"""How long a silent worker stays a member of its group: the zombie sleeps longer."""

ACTIVE_MAX = 2
"""Faults at a time: two test what one hides; three leave nothing standing to be tested."""

BREATH_S = 2.0
"""Between the end of a fault and the next one that would make it one too many, or of its target."""

CALM_BEFORE_S = 3.0
CALM_AFTER_S = 3.0
"""Of the input, without faults: the groups are at work before, and the last fault meets records."""

SERVER_RETURN_S = 6.0
"""What an embedded server takes to answer again; the schedule counts it as part of an outage."""

PLACING_STEP_S = 0.25
"""Grain in which a fault is moved back until it has room."""

HOLD_S_MAX = 60.0
"""The schedule waits so long for the worker a fault is to strike to be at work."""

READY_LOOK_S = 0.5
"""Between looks at whether it is."""

STRETCH = 2.0
"""The input lasts so many times the schedule, not to end while the schedule waits; what is left of
it afterwards is sent at full speed."""

TICK_S = 0.05
"""Between looks at the schedule: a fault is late by no more than this."""

SAMPLE_S = 0.4
"""Between questions for ends and committed offsets: how exact a recovery time is."""

DRAIN_S_MAX = 45.0
"""From SIGTERM to the end of a worker: its drain is bounded by 20 s, its last commit by as much."""

STORM_S_MAX = 3_600.0
"""Input and faults together; beyond it the run is given up."""

REVIVAL_PAUSE_S = 1.0
"""Before a worker that died by itself is started again, as a supervisor would."""

REVIVALS_MAX = 40
"""Starts of one worker in one run: more is a loop, not a recovery."""

SETTLE_S_MAX = 180.0
"""From the end of input and faults until nothing moves any more: a merge may wait 20 s for what it
lacks, a worker some seconds to start on a busy machine."""

SETTLED_LOOKS = 3
"""How often in a row nothing may have moved before a run is over."""

LOOK_S = 1.0
"""Between those looks."""

FEED_FRAMES_MAX = 5_000_000
"""Frames of a feed the prover takes: what is compared is held in memory."""

EXAMPLES_MAX = 3
"""Violations of one kind told in words; all are counted."""

REPEAT_CHANCE = 0.25
"""Of a record to come again while records are repeated."""

REPEAT_LATE_SHARE = 0.5
"""Of the copies that come late, the others come at once."""

REPEAT_DELAY_S_MAX = 3.0
"""How late a copy comes at most: within it other records of its key pass it by."""

REPEAT_RECORDS_MAX = 20_000
"""Copies waiting to be sent; beyond it records are not repeated."""

PULSE_ON_S = 0.1
PULSE_OFF_S = 0.4
"""A server slowed down runs a fifth of the time."""

START_S_MAX = 600.0
"""From the start of a fleet until all its workers are in their groups: ten processes that load and
compile the same things on two busy cores."""

SERVER_START_S_MAX = 300.0
"""An embedded server may take so long to start on a busy machine: killing it would not help."""

SERVER_TIMEOUT_S = 60.0
"""One question to the database or Redis after the run."""
