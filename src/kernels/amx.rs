//! Matrix tiles of x86 CPUs (AMX): detection, configuration, and the products of two tiles.
//!
//! A tile register holds up to 16 rows of 64 bytes. Rust has no stable intrinsics for them, so this
//! file uses inline assembly. The compiler never uses tile registers itself; their content survives
//! from one block of assembly to the next.
//!
//! Source of the semantics: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
//! chapter 18, and the pages of `TDPBSSD` and `TDPBF16PS` in volume 2.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::LazyLock;

/// Rows of a full tile.
pub(crate) const TILE_ROWS: usize = 16;
/// Bytes of a row of a full tile.
pub(crate) const TILE_ROW_BYTES: usize = 64;
/// Bytes of a full tile.
pub(crate) const TILE_BYTES: usize = TILE_ROWS * TILE_ROW_BYTES;

/// Whether the CPU has tiles with products of int8 and of bf16, and the operating system lets this
/// process use them. The first call asks the system for the permission.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> =
        LazyLock::new(|| has_instructions() && saves_tiles() && is_permitted());
    *AVAILABLE
}

/// Whether the CPU has AMX-TILE, AMX-INT8 and AMX-BF16 (CPUID leaf 7).
fn has_instructions() -> bool {
    let (bf16, tile, int8) = (1 << 22, 1 << 24, 1 << 25);
    let needed = bf16 | tile | int8;
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & needed == needed
}

/// Whether the operating system saves the tiles' configuration and data (bits 17 and 18 of XCR0).
fn saves_tiles() -> bool {
    let has_xgetbv = __cpuid_count(1, 0).ecx & (1 << 27) != 0;
    if !has_xgetbv {
        return false;
    }
    let low: u32;
    // SAFETY: the system has enabled the instruction, as just checked; it only reads a register.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
    }
    low & (0b11 << 17) == 0b11 << 17
}

/// Asks Linux for the permission to use tile data, for all threads of the process.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call takes two numbers and changes only what the process may use.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// Shape of a tile register: rows, and bytes of a row.
type TileShape = (usize, usize);

/// The configuration of the calling thread's tile registers. Dropping it returns them to their
/// initial state, so that the system need not save them.
pub(crate) struct Tiles(());

/// Operand of `LDTILECFG`.
#[repr(C, align(64))]
struct Palette {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// Configures the eight registers.
    ///
    /// # Safety
    /// [`is_available`] is true. No other value of this type lives on this thread.
    pub(crate) unsafe fn configure(shapes: [TileShape; 8]) -> Self {
        let mut palette = Palette {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for (index, (rows, bytes)) in shapes.into_iter().enumerate() {
            palette.rows[index] = rows as u8;
            palette.row_bytes[index] = bytes as u16;
        }
        // SAFETY: the machine has the instruction; the operand has 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const palette, options(nostack)) };
        Self(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: a value of this type exists only if the machine has the instruction.
        unsafe { asm!("tilerelease", options(nostack)) };
    }
}

/// Shapes for [`int8_block`]: results, eight rows of 32 columns, and the weights of 16 channels.
pub(crate) const INT8_SHAPES: [TileShape; 8] =
    [(8, 64), (8, 64), (8, 32), (8, 64), (8, 64), (0, 0), (0, 0), (0, 0)];
/// Shapes for [`int8_halves`].
pub(crate) const INT8_HALF_SHAPES: [TileShape; 8] =
    [(8, 64), (8, 64), (8, 64), (8, 64), (8, 16), (8, 16), (4, 64), (4, 64)];
/// Shapes for [`bf16_product`].
pub(crate) const BF16_SHAPES: [TileShape; 8] = [(TILE_ROWS, TILE_ROW_BYTES); 8];

/// Dot products of eight rows, `[8][32]` int8, with a block of one or two panels, each `[8][16][4]`
/// int8 (groups of four columns, channels, columns), as `[8][16]` i32 for each panel.
///
/// # Safety
/// The tiles have [`INT8_SHAPES`]; the pointers are valid for these shapes.
#[inline(always)]
pub(crate) unsafe fn int8_block<const PANELS: usize>(
    x: *const i8,
    weights: [*const i8; PANELS],
    dots: *mut i32,
) {
    // SAFETY: the caller guarantees it.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm2, [{x} + {rows}]",
            "tileloadd tmm3, [{w} + {line}]",
            "tdpbssd tmm0, tmm2, tmm3",
            "tilestored [{to} + {line}], tmm0",
            x = in(reg) x, rows = in(reg) 32_usize, w = in(reg) weights[0],
            line = in(reg) TILE_ROW_BYTES, to = in(reg) dots, options(nostack),
        );
        if PANELS == 2 {
            asm!(
                "tilezero tmm1",
                "tileloadd tmm4, [{w} + {line}]",
                "tdpbssd tmm1, tmm2, tmm4",
                "tilestored [{to} + {line}], tmm1",
                w = in(reg) weights[1], line = in(reg) TILE_ROW_BYTES,
                to = in(reg) dots.add(128), options(nostack),
            );
        }
    }
}

/// Like [`int8_block`], with a result for each half of the columns, `[half][8][16]`.
///
/// # Safety
/// The tiles have [`INT8_HALF_SHAPES`]; the pointers are valid for these shapes.
#[inline(always)]
pub(crate) unsafe fn int8_halves<const PANELS: usize>(
    x: *const i8,
    weights: [*const i8; PANELS],
    dots: *mut i32,
) {
    // SAFETY: the caller guarantees it.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tileloadd tmm4, [{x} + {rows}]",
            "tileloadd tmm5, [{x} + {rows} + 16]",
            "tileloadd tmm6, [{w} + {line}]",
            "tileloadd tmm7, [{w} + {line} + 256]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbssd tmm1, tmm5, tmm7",
            "tilestored [{to} + {line}], tmm0",
            "tilestored [{to} + {line} + 512], tmm1",
            x = in(reg) x, rows = in(reg) 32_usize, w = in(reg) weights[0],
            line = in(reg) TILE_ROW_BYTES, to = in(reg) dots, options(nostack),
        );
        if PANELS == 2 {
            asm!(
                "tilezero tmm2",
                "tilezero tmm3",
                "tileloadd tmm6, [{w} + {line}]",
                "tileloadd tmm7, [{w} + {line} + 256]",
                "tdpbssd tmm2, tmm4, tmm6",
                "tdpbssd tmm3, tmm5, tmm7",
                "tilestored [{to} + {line}], tmm2",
                "tilestored [{to} + {line} + 512], tmm3",
                w = in(reg) weights[1], line = in(reg) TILE_ROW_BYTES,
                to = in(reg) dots.add(256), options(nostack),
            );
        }
    }
}

/// Adds to four results `[16][16]` f32, of two row tiles with two panels, the products of `blocks`
/// blocks of 32 columns. A row tile is `[block][16][32]` bf16, a panel `[block][16][16][2]` bf16
/// (pairs of columns, channels, columns). `results` are of the first row tile with both panels, then
/// of the second. If `is_first`, the results are overwritten.
///
/// The sum of an element has a fixed order: in each block, the even and the odd columns are summed
/// apart with fused multiply-adds, and the sum of both is added to the result.
///
/// # Safety
/// The tiles have [`BF16_SHAPES`]; the pointers are valid for these shapes.
#[inline(always)]
pub(crate) unsafe fn bf16_product(
    rows: [*const u16; 2],
    panels: [*const u16; 2],
    blocks: usize,
    results: *mut f32,
    is_first: bool,
) {
    // SAFETY: the caller guarantees it.
    unsafe {
        if is_first {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem)
            );
        } else {
            asm!(
                "tileloadd tmm0, [{c} + {line}]",
                "tileloadd tmm1, [{c} + {line} + 1024]",
                "tileloadd tmm2, [{c} + {line} + 2048]",
                "tileloadd tmm3, [{c} + {line} + 3072]",
                c = in(reg) results, line = in(reg) TILE_ROW_BYTES, options(nostack),
            );
        }
        asm!(
            "2:",
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line}]",
            "tileloadd tmm5, [{a1} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a0}, 1024",
            "add {a1}, 1024",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "dec {n}",
            "jnz 2b",
            a0 = inout(reg) rows[0] => _, a1 = inout(reg) rows[1] => _,
            b0 = inout(reg) panels[0] => _, b1 = inout(reg) panels[1] => _,
            n = inout(reg) blocks => _, line = in(reg) TILE_ROW_BYTES, options(nostack),
        );
        asm!(
            "tilestored [{c} + {line}], tmm0",
            "tilestored [{c} + {line} + 1024], tmm1",
            "tilestored [{c} + {line} + 2048], tmm2",
            "tilestored [{c} + {line} + 3072], tmm3",
            c = in(reg) results, line = in(reg) TILE_ROW_BYTES, options(nostack),
        );
    }
}
