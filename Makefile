# make demo: a cluster on this machine with generated traffic, a printed funnel and a page to look at.
# make test: every test. Both install the system libraries they lack (see deploy/install-deps.sh).
# One optimised build serves both.
build_dir := .build/release

.PHONY: build demo test kills lint image-test clean

build:
	@sh deploy/install-deps.sh
	swift build -c release

demo: build
	@sh deploy/demo.sh $(build_dir)

# h2load, nghttp and nghttpd are peers in interoperability tests.
test:
	@sh deploy/install-deps.sh h2load:nghttp2-client nghttpd:nghttp2-server python3:python3 openssl:openssl
	swift build -c release --build-tests
	SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) swift test -c release --skip-build

# make kills N=50: kill -9 of shards and of ingest under load, with a ledger.
N ?= 50
kills:
	swift build -c release --build-tests
	FUNNEL_KILLS=$(N) SLUICE_PROGRAMS=$(CURDIR)/$(build_dir) swift test -c release --skip-build --filter FaultTests

lint:
	swift format lint --recursive Sources Tests Package.swift

# The container image, built and run; needs docker, or buildah and debootstrap.
image-test: build
	deploy/image-test.sh --binaries $(build_dir)

clean:
	rm -rf .build demo-data
