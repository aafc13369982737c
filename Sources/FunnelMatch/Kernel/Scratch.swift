/// Working memory of a kernel: grows, is never cleared, and keeps nothing from one use to the next.
@safe struct Scratch<Element: BitwiseCopyable>: ~Copyable {
    /// Address of the first element; valid until the next `reserve`.
    private(set) var base: UnsafeMutablePointer<Element>
    private var capacity: Int

    init() {
        capacity = 64
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    }

    deinit { unsafe base.deallocate() }

    /// Makes room for `count` elements of undefined value.
    mutating func reserve(_ count: Int) {
        guard count > capacity else { return }
        unsafe base.deallocate()
        // A quarter more, so that slices of slowly rising size don't each allocate.
        capacity = count + count / 4
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    }
}

/// The memory has one owner at a time.
extension Scratch: @unchecked Sendable {}
