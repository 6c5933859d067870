//go:build !purego

#include "textflag.h"

// Shuffles of bytes that rotate each word to the right by 24 and by 16 bits.
DATA rotate24<>+0(SB)/8, $0x0201000706050403
DATA rotate24<>+8(SB)/8, $0x0a09080f0e0d0c0b
DATA rotate24<>+16(SB)/8, $0x0201000706050403
DATA rotate24<>+24(SB)/8, $0x0a09080f0e0d0c0b
GLOBL rotate24<>(SB), RODATA|NOPTR, $32

DATA rotate16<>+0(SB)/8, $0x0100070605040302
DATA rotate16<>+8(SB)/8, $0x09080f0e0d0c0b0a
DATA rotate16<>+16(SB)/8, $0x0100070605040302
DATA rotate16<>+24(SB)/8, $0x09080f0e0d0c0b0a
GLOBL rotate16<>(SB), RODATA|NOPTR, $32

// MIX is x = x + y + 2 * trunc(x) * trunc(y), where trunc is the low half. Y8 is scratch.
#define MIX(x, y) \
	VPMULUDQ x, y, Y8; \
	VPADDQ   Y8, Y8, Y8; \
	VPADDQ   y, x, x; \
	VPADDQ   Y8, x, x

// GB is GB (RFC 9106, section 3.6) of four columns at once: Y0 to Y3 hold a to d.
#define GB \
	MIX(Y0, Y1); VPXOR Y0, Y3, Y3; VPSHUFD $0xB1, Y3, Y3; \
	MIX(Y2, Y3); VPXOR Y2, Y1, Y1; VPSHUFB Y14, Y1, Y1; \
	MIX(Y0, Y1); VPXOR Y0, Y3, Y3; VPSHUFB Y15, Y3, Y3; \
	MIX(Y2, Y3); VPXOR Y2, Y1, Y1; VPADDQ Y1, Y1, Y8; VPSRLQ $63, Y1, Y1; VPXOR Y8, Y1, Y1

// P is the permutation P of the sixteen words in Y0 to Y3: GB of the columns, then of the diagonals.
#define P \
	GB; \
	VPERMQ $0x39, Y1, Y1; VPERMQ $0x4E, Y2, Y2; VPERMQ $0x93, Y3, Y3; \
	GB; \
	VPERMQ $0x93, Y1, Y1; VPERMQ $0x4E, Y2, Y2; VPERMQ $0x39, Y3, Y3

// func compressAVX2(out, x, y *block, xor bool)
TEXT ·compressAVX2(SB), 0, $1024-25
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	VMOVDQU rotate24<>(SB), Y14
	VMOVDQU rotate16<>(SB), Y15

	// work = P of each row of x XOR y.
	LEAQ work-1024(SP), R8
	XORQ AX, AX
rows:
	VMOVDQU 0(SI)(AX*1), Y0
	VMOVDQU 32(SI)(AX*1), Y1
	VMOVDQU 64(SI)(AX*1), Y2
	VMOVDQU 96(SI)(AX*1), Y3
	VPXOR   0(DX)(AX*1), Y0, Y0
	VPXOR   32(DX)(AX*1), Y1, Y1
	VPXOR   64(DX)(AX*1), Y2, Y2
	VPXOR   96(DX)(AX*1), Y3, Y3
	P
	VMOVDQU Y0, 0(R8)(AX*1)
	VMOVDQU Y1, 32(R8)(AX*1)
	VMOVDQU Y2, 64(R8)(AX*1)
	VMOVDQU Y3, 96(R8)(AX*1)
	ADDQ    $128, AX
	CMPQ    AX, $1024
	JNE     rows

	// work = P of each column, which has 16 bytes of each row.
	MOVQ $8, CX
columns:
	VMOVDQU     0(R8), X0
	VMOVDQU     256(R8), X1
	VMOVDQU     512(R8), X2
	VMOVDQU     768(R8), X3
	VINSERTI128 $1, 128(R8), Y0, Y0
	VINSERTI128 $1, 384(R8), Y1, Y1
	VINSERTI128 $1, 640(R8), Y2, Y2
	VINSERTI128 $1, 896(R8), Y3, Y3
	P
	VMOVDQU      X0, 0(R8)
	VMOVDQU      X1, 256(R8)
	VMOVDQU      X2, 512(R8)
	VMOVDQU      X3, 768(R8)
	VEXTRACTI128 $1, Y0, 128(R8)
	VEXTRACTI128 $1, Y1, 384(R8)
	VEXTRACTI128 $1, Y2, 640(R8)
	VEXTRACTI128 $1, Y3, 896(R8)
	ADDQ         $16, R8
	DECQ         CX
	JNZ          columns

	// out = x XOR y XOR work, and XOR out if xor.
	LEAQ work-1024(SP), R8
	XORQ AX, AX
	CMPB xor+24(FP), $0
	JNE  over
write:
	VMOVDQU 0(R8)(AX*1), Y0
	VPXOR   0(SI)(AX*1), Y0, Y0
	VPXOR   0(DX)(AX*1), Y0, Y0
	VMOVDQU Y0, 0(DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, $1024
	JNE     write
	VZEROUPPER
	RET

over:
	VMOVDQU 0(R8)(AX*1), Y0
	VPXOR   0(SI)(AX*1), Y0, Y0
	VPXOR   0(DX)(AX*1), Y0, Y0
	VPXOR   0(DI)(AX*1), Y0, Y0
	VMOVDQU Y0, 0(DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, $1024
	JNE     over
	VZEROUPPER
	RET
