"""The peers: chDB, DuckDB and Polars, in this process, each with its best layout for these queries.

They get a number for the user, Sluice a text: that is in their favour. chDB has two tables, in order of (event, user,
time) and of (user, time), both merged to one part before anything is measured. DuckDB has one table in order of (event,
user, time) in a file. Polars has one frame in memory in the same order, with user and time in one sorted 64-bit key.
"""

import glob
import json
import os
import threading
import time

import cases
from generate import START_MS

COLUMNS = {
    "user": "UInt32",
    "event": "LowCardinality(String)",
    "ts": "UInt64",
    "country": "LowCardinality(String)",
    "device": "LowCardinality(String)",
    "price": "Float32",
    "session": "String",
}
ORDERS = {"by_event": "event, user, ts", "by_user": "user, ts"}
LIMIT_SECONDS = 120


class Chdb:
    """One session; a process may have only one."""

    name = "chDB"

    def __init__(self, directory):
        from chdb import session

        self.session = session.Session(directory)
        self.run("CREATE DATABASE IF NOT EXISTS bench")

    def close(self):
        self.session.close()

    def run(self, sql):
        """The answer's bytes, as JSON."""
        return self.session.query(sql, "JSONCompactEachRow").bytes()

    def rows(self, sql):
        return [json.loads(line) for line in self.run(sql).decode().splitlines()]

    def version(self):
        return self.rows("SELECT version()")[0][0]

    def create(self, table, order, columns=None, settings=""):
        listed = ", ".join(f"{name} {kind}" for name, kind in (columns or COLUMNS).items())
        self.run(f"DROP TABLE IF EXISTS bench.{table} SYNC")
        self.run(f"CREATE TABLE bench.{table} ({listed}) ENGINE = MergeTree ORDER BY ({order}) {settings}")

    def load(self, table, order, parts, columns=None):
        """A table out of Parquet parts, merged to one part."""
        columns = columns or COLUMNS
        self.create(table, order, columns)
        chosen = ", ".join("toUUID(id)" if kind == "UUID" else name for name, kind in columns.items())
        self.run(f"INSERT INTO bench.{table} SELECT {chosen} FROM file('{parts}/part-*.parquet')")
        self.run(f"OPTIMIZE TABLE bench.{table} FINAL")

    def bytes_of(self, table):
        sql = f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'bench' AND table = '{table}'"
        return int(self.rows(sql)[0][0])

    def variants(self, case):
        """{(layout, threads, form): a function that answers with bytes}."""
        found = {}
        for table in ORDERS:
            for form, sql in cases.chdb_queries(case, f"bench.{table}").items():
                for threads in (2, 1):
                    joined = ", " if " SETTINGS " in sql else " SETTINGS "
                    full = f"{sql}{joined}max_threads = {threads}, max_execution_time = {LIMIT_SECONDS}"
                    found[(table, threads, form)] = lambda full=full: self.run(full)
        return found

    @staticmethod
    def result(case, data):
        return cases.grouped(case, [json.loads(line) for line in data.decode().splitlines()])


class Duck:
    """DuckDB with a file."""

    name = "DuckDB"

    def __init__(self, file, threads=2):
        import duckdb

        self.file = file
        self.connection = duckdb.connect(file)
        self.connection.execute(f"SET threads = {threads}")
        self.connection.execute("SET memory_limit = '8GB'")

    def close(self):
        self.connection.close()

    def load(self, parts, columns=tuple(COLUMNS)):
        chosen = ", ".join({"ts": "ts::BIGINT AS ts", "id": "id::UUID AS id"}.get(name, name) for name in columns)
        sql = f"CREATE OR REPLACE TABLE e AS SELECT {chosen} FROM '{parts}/part-*.parquet' ORDER BY event, user, ts"
        self.connection.execute(sql)
        self.connection.execute("CHECKPOINT")

    def bytes_of(self):
        return os.path.getsize(self.file)

    def variants(self, case):
        sql = cases.duckdb_query(case)
        return {("by_event", 2, ""): lambda: self._limited(sql)}

    def _limited(self, sql):
        timer = threading.Timer(LIMIT_SECONDS, self.connection.interrupt)
        timer.start()
        try:
            return self.connection.execute(sql).fetchall()
        finally:
            timer.cancel()

    @staticmethod
    def result(case, rows):
        return cases.grouped(case, rows)


class Polars:
    """Polars with a frame in memory. Its threads come from POLARS_MAX_THREADS, which must be set before the import."""

    name = "Polars"

    def __init__(self):
        import polars

        self.frame = None
        self.threads = polars.thread_pool_size()

    def close(self):
        self.frame = None

    def load(self, parts):
        import polars as pl

        key = (pl.col("user").cast(pl.Int64) * 2**33 + pl.col("ts") - START_MS).alias("key")
        names = [pl.col(name).cast(pl.Categorical) for name in ("event", "country", "device")]
        wanted = ["user", "ts", "event", "country", "device", "price"]
        files = sorted(glob.glob(f"{parts}/part-*.parquet"))
        frames = [pl.read_parquet(file, columns=wanted).select(key, *names, "price") for file in files]
        self.frame = pl.concat(frames).sort("event", "key", maintain_order=True)

    def variants(self, case):
        return {("in memory", self.threads, ""): cases.polars_query(case, self.frame)[0]}

    @staticmethod
    def result(case, rows):
        return cases.grouped(case, rows)


def timed(work):
    """(milliseconds, what it gave)."""
    started = time.perf_counter()
    given = work()
    return (time.perf_counter() - started) * 1000, given
