"""Jobs run `module:function` in a child process with limits, so that a crash or an endless loop ends one job only."""

from glowviz.jobs.child import report_place, report_progress
from glowviz.jobs.limits import Limits
from glowviz.jobs.pool import Job, JobError, Pool, file_argument
from glowviz.jobs.table import Row, State

__all__ = ["Job", "JobError", "Limits", "Pool", "Row", "State", "file_argument", "report_place",
           "report_progress"]
