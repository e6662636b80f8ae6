"""Benchmarks: task files, rows from many kinds of source, prompts, and batches of few shapes."""

from jaxtrunc.data.batching import TokenBatch, bucket_batches, shared_prefix
from jaxtrunc.data.examples import Example, TrainExample
from jaxtrunc.data.find import find_task
from jaxtrunc.data.inject import unmarked
from jaxtrunc.data.load import TaskData, load_task
from jaxtrunc.data.packing import PackedBatch, pack_batches
from jaxtrunc.data.plain_text import TextStream, text_batches
from jaxtrunc.data.prompts import Encoded, Prompter
from jaxtrunc.data.streams import Stream, TrainBatch, TrainStream
from jaxtrunc.data.task import Task, read_task

__all__ = [
    "Encoded", "Example", "PackedBatch", "Prompter", "Stream", "Task", "TaskData", "TextStream", "TokenBatch", "TrainBatch",
    "TrainExample", "TrainStream", "bucket_batches", "find_task", "load_task", "pack_batches", "read_task", "shared_prefix",
    "text_batches", "unmarked",
]
