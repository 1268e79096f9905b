mod learning;
