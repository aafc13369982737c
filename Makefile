# make demo: a cluster on this machine with generated traffic, a printed funnel and a page to look at.
# make test: every test. Both install the system libraries they lack (see deploy/install-deps.sh).
# One optimised build serves both.
build_dir := .build/release
chart_library := /usr/share/javascript/chart.js/chart.min.js:libjs-chart.js

.PHONY: build demo test test-contract test-sdks test-bodies test-files test-traits test-kafka test-tsan test-hostile hostile kills-all test-prometheus test-examples test-notices test-export test-proxies test-browser screenshots verify-reports kills fuzz bench bench-micro lint image-test clean

build:
	@sh deploy/install-deps.sh
	swift build -c release

demo: build
	@sh deploy/install-deps.sh $(chart_library) || echo "without Chart.js the dashboard shows tables in place of charts"
	@sh deploy/demo.sh $(build_dir)

# h2load, nghttp and nghttpd are peers in interoperability tests.
test:
	@sh deploy/install-deps.sh h2load:nghttp2-client nghttpd:nghttp2-server python3:python3 openssl:openssl
	swift build -c release --build-tests
	$(call read-files,400,1)
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) swift test -c release --skip-build --experimental-maximum-parallelization-width 4

# make test-files COUNT=10000 SEED=1: files of every preset, tables of cells and times, and random files, read a second time by Python.
COUNT ?= 10000
SEED ?= 1
define read-files
	python3 Tests/Files/reading.py check $(build_dir)/sluice
	python3 Tests/Files/tables.py $(build_dir)/sluice
	python3 Tests/Files/random_files.py --count $(1) --seed $(2) $(build_dir)/sluice
endef
test-files: build
	$(call read-files,$(COUNT),$(SEED))

# What needs a package trait, built once with all of them in .build-traits.
test-traits:
	$(build-traits)
	Tests/Files/traits.sh .build-traits/release/sluice
	SLUICE_PROGRAMS=$(CURDIR)/.build-traits/release python3 Tests/Files/zstd_bodies.py
	SLUICE_PROGRAMS=$(CURDIR)/.build-traits/release python3 Tests/Kafka/run.py --short --seed $(SEED)

define build-traits
	@sh deploy/install-deps.sh /usr/include/zstd.h:libzstd-dev /usr/include/librdkafka/rdkafka.h:librdkafka-dev zstd:zstd cc:gcc python3:python3
	swift build -c release --scratch-path .build-traits --enable-all-traits
endef

# make test-kafka SEED=1: messages of Kafka through brokers that go down and kill -9 of ingest; librdkafka's mock brokers.
test-kafka:
	$(build-traits)
	SLUICE_PROGRAMS=$(CURDIR)/.build-traits/release python3 Tests/Kafka/run.py --seed $(SEED)

# Callers who mean ill, or are very slow, on real sockets, with the machine to themselves. `make test` runs most of these too.
test-hostile:
	@sh deploy/install-deps.sh
	swift build -c release --build-tests
	SLUICE_HOSTILE=1 swift test -c release --skip-build --no-parallel --filter 'HTTP2Tests|RPCTests|ServiceHostTests'

# Alert rules, and the cause of each alert on real processes; recording rules and boards of Grafana against a real Prometheus and a real
# coordinator. About two minutes.
test-prometheus: build
	@sh deploy/install-deps.sh promtool:prometheus faketime:faketime openssl:openssl python3:python3 cc:gcc
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Prometheus/run.sh

# The recipes of deploy/examples, with a real PostgreSQL in a temporary folder; some seconds.
test-examples: build
	@sh deploy/install-deps.sh /usr/lib/postgresql:postgresql psql:postgresql-client python3:python3 flock:util-linux
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) PYTHONDONTWRITEBYTECODE=1 python3 Tests/Examples/run.py

# make test-notices KILLS=50 SEED=1: kill -9 of the coordinator between the evaluation of alert rules and the delivery of notices; and
# Alertmanager as a receiver, if it is installed. About two minutes.
test-notices: KILLS := $(or $(KILLS),50)
test-notices: build
	@sh deploy/install-deps.sh python3:python3 prometheus-alertmanager:prometheus-alertmanager
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Notices/run.sh --kills $(KILLS) --seed $(SEED)

# make test-export EVENTS=10000000 KILLS=10 SEED=1: raw events exported, killed and taken up during merges, compared and loaded elsewhere;
# Parquet by DuckDB. About half a minute for 200,000 events.
test-export: EVENTS := $(if $(filter command line environment,$(origin EVENTS)),$(EVENTS),200000)
test-export: KILLS := $(if $(filter command line environment,$(origin KILLS)),$(KILLS),10)
test-export: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Reports/python.sh Tests/Export/run.py --events $(EVENTS) --kills $(KILLS) --seed $(SEED)

# Certificates that change under load, roles by certificate, and nginx and Caddy with the examples of deploy in front; about a minute.
test-proxies: build
	@sh deploy/install-deps.sh nginx:nginx caddy:caddy openssl:openssl python3:python3
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Proxies/run.sh

# make hostile SIZE=short ONLY=S1,B7 OUT=DIRECTORY: attacks and faults on real clusters, with honest callers beside them; a table at the
# end. The findings' own sizes take about two hours, short ones twenty minutes.
SIZE ?= full
OUT ?= .build-hostile
hostile: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Hostile/run.sh --size $(SIZE) $(if $(ONLY),--only $(ONLY)) --out $(OUT)

# make kills-all KILLS=500 STOPS=100 SEED=1: kill -9 and SIGSTOP of every program at random under load, with a ledger.
KILLS ?= 500
STOPS ?= 100
kills-all: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) HOSTILE_PROGRAM=ledger.py Tests/Hostile/run.sh --kills $(KILLS) --stops $(STOPS) --seed $(SEED)

# The dashboard in a real browser, against a real cluster.
test-browser: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Browser/run.sh

# make screenshots TO=DIRECTORY: every page, light and dark, narrow and wide.
TO ?= .build-browser/screenshots
screenshots: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Browser/run.sh screenshots $(TO)

# make verify-reports LOGS=DIRECTORY: every report over two real logs, computed again by SQL and loops of their own.
verify-reports: build
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/Reports/python.sh Tests/Reports/verify_reports.py $(if $(LOGS),--logs $(LOGS))

# Every operation of Protocol/openapi.yaml and openapi-sdks.yaml on a real cluster, each answer validated against them; and reports as CSV
# and NDJSON, read back by Python, pandas and DuckDB; about a minute.
test-contract: build
	@sh deploy/install-deps.sh curl:curl
	Tests/Reports/python.sh Tests/Reports/contract_test.py --programs $(build_dir)
	Tests/Reports/python.sh Tests/Reports/tables_test.py --programs $(build_dir)

# make test-sdks SIZE=short ONLY=segment,browser SEED=1 LOGS=DIRECTORY: published SDKs of other products against a real cluster, with
# faults on the way; about three minutes. Short ones less than one, with some of `test-bodies`.
test-sdks: build
	@sh deploy/install-deps.sh chromium:chromium openssl:openssl python3:python3
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) Tests/SDKs/run.sh --seed $(SEED) $(if $(filter short,$(SIZE)),--short) \
		$(if $(ONLY),--only $(ONLY)) $(if $(LOGS),--logs $(LOGS))
	$(if $(filter short,$(SIZE)),$(if $(ONLY),,$(call send-bodies,300)))

# make test-bodies COUNT=100000 SEED=1 ONLY=posthog: random and mutated bodies, COUNT for every endpoint that takes events; about 3,000
# a second.
send-bodies = SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) python3 Tests/Hostile/bodies.py --count $(1) --seed $(SEED)
test-bodies: build
	@sh deploy/install-deps.sh python3:python3
	$(call send-bodies,$(COUNT)) $(if $(ONLY),--only $(ONLY))

# make test-tsan ONLY=RPCTests: calls, HTTP/2 and the services under the thread sanitizer, built in .build-tsan.
test-tsan:
	@sh deploy/install-deps.sh h2load:nghttp2-client nghttpd:nghttp2-server
	swift build --build-tests --sanitize thread --scratch-path .build-tsan
	clang -O2 -fPIC -shared -Wall Tests/Sanitizer/mutex.c -o .build-tsan/mutex.so -ldl
	TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Sanitizer/suppressions.txt LD_PRELOAD=$(CURDIR)/.build-tsan/mutex.so \
		swift test --skip-build --sanitize thread --scratch-path .build-tsan \
		--experimental-maximum-parallelization-width 4 --filter '^$(or $(ONLY),(HTTP2Tests|RPCTests|ServiceHostTests|ServiceTests))[.]'

# make kills N=50: kill -9 of shards and of ingest under load, with a ledger.
N ?= 50
kills:
	swift build -c release --build-tests
	SLUICE_KILLS=$(N) SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) swift test -c release --skip-build --filter FaultTests

# make fuzz SECONDS=60 SEED=1 SURFACE="segment rules": what takes bytes from outside, under libFuzzer and the address sanitizer.
SECONDS ?= 30
fuzz:
	Tests/Fuzz/run.sh $(SECONDS) $(SEED) $(SURFACE)

# make bench EVENTS=1000000 ROUNDS=3: side by side with chDB, DuckDB and Polars; the report is bench/REPORT.md.
# GROWTH=1000000,10000000,100000000 adds what data of these sizes cost.
EVENTS ?= 10000000
ROUNDS ?= 5
bench: build
	@sh deploy/install-deps.sh wrk:wrk h2load:nghttp2-client || echo "without wrk and h2load the phases doors and small are left out"
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) bench/run.sh --events $(EVENTS) --rounds $(ROUNDS) $(if $(GROWTH),--growth $(GROWTH))

# The counting kernel and its twin in C over the same keys: counts, ns and instructions a key.
bench-micro:
	@sh deploy/install-deps.sh valgrind:valgrind
	bench/python.sh bench/Micro/keys.py --events $(EVENTS) --out bench/Micro/f4.keys
	cc -O3 -std=c11 -o bench/Micro/kernel bench/Micro/kernel.c
	SLUICE_BENCH=1 swift build -c release --product kernel-twin
	bench/Micro/kernel bench/Micro/f4.keys 86400000 20
	$(build_dir)/kernel-twin bench/Micro/f4.keys 86400000 20
	sh bench/Micro/instructions.sh bench/Micro/f4.keys 86400000 $(build_dir)/kernel-twin

lint:
	swift format lint --strict --recursive Sources Plugins Tests Package.swift

# The container image, built and run; needs docker, or buildah and debootstrap.
image-test: build
	deploy/image-test.sh --binaries $(build_dir)

clean:
	rm -rf .build demo-data
