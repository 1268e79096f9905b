//! What every layer would otherwise repeat.

/// The accessors of a service that wraps an `inner` one, as tower's own middleware has them.
macro_rules! inner_service_accessors {
    () => {
        /// The inner service.
        pub const fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The inner service, to be changed.
        pub const fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// Takes the inner service out.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}
