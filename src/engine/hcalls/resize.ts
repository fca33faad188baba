export function resizeIsZeroing(): bool { return false; }
