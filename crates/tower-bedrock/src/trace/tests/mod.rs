mod recorder;
mod spans;
