//! Choice of the compiled version of a kernel at run time.

/// Defines an unsafe function that takes an `Isa` before its other arguments and runs the kernel
/// compiled for it. Its safety contract is the kernel's; [`Isa`](crate::Isa) guarantees that the
/// machine supports the instruction set.
macro_rules! per_isa {
    (
        $(#[$attribute:meta])*
        $vis:vis unsafe fn $name:ident $(<$generic:ident: $bound:path>)? ($($arg:ident: $type:ty),* $(,)?)
            $(-> $result:ty)? = $kernel:ident;
    ) => {
        $(#[$attribute])*
        $vis unsafe fn $name $(<$generic: $bound>)? (
            isa: $crate::Isa, $($arg: $type),*
        ) $(-> $result)? {
            use $crate::isa::InstructionSet;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
            unsafe fn avx512vnni $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: the features are enabled; the caller guarantees the rest.
                unsafe { $kernel::<$crate::simd::Avx512Vnni $(, $generic)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
            unsafe fn avxvnni $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: as above.
                unsafe { $kernel::<$crate::simd::AvxVnni $(, $generic)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2 $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: as above.
                unsafe { $kernel::<$crate::simd::Avx2 $(, $generic)?>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon,dotprod")]
            unsafe fn neon $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: as above.
                unsafe { $kernel::<$crate::simd::Neon $(, $generic)?>($($arg),*) }
            }
            // SAFETY: the machine supports every `Isa`; the caller guarantees the rest.
            unsafe {
                match isa.set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512Vnni => avx512vnni $(::<$generic>)? ($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::AvxVnni => avxvnni $(::<$generic>)? ($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2 $(::<$generic>)? ($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => neon $(::<$generic>)? ($($arg),*),
                    InstructionSet::Plain => $kernel::<$crate::simd::Plain $(, $generic)?>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use per_isa;
